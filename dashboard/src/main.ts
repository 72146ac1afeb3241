import { mount } from 'svelte';
import App from './App.svelte';
import './theme/tokens.css';
import './theme/base.css';
import './theme/outline.css';

const page = document.getElementById('page');
if (page) mount(App, { target: page });
