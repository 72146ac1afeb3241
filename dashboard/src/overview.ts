import { mount } from 'svelte';
import './theme/tokens.css';
import './theme/base.css';
import './theme/outline.css';
import Overview from './overview/Overview.svelte';

const page = document.getElementById('page');
if (page) {
  document.getElementById('outline')?.remove();
  mount(Overview, { target: page });
}
