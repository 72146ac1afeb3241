import { mount } from 'svelte';
import './theme/tokens.css';
import './theme/base.css';
import './theme/forms.css';
import './theme/outline.css';
import Topics from './topics/Topics.svelte';

const page = document.getElementById('page');
if (page) {
  document.getElementById('outline')?.remove();
  mount(Topics, { target: page });
}
