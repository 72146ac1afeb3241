import { mount } from 'svelte';
import './theme/tokens.css';
import './theme/base.css';
import './theme/forms.css';
import './theme/outline.css';
import Audit from './audit/Audit.svelte';

const page = document.getElementById('page');
if (page) {
  document.getElementById('outline')?.remove();
  mount(Audit, { target: page });
}
