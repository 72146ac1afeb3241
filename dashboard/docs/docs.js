// A module runs when the document is parsed, and so after the bundle.
const stored = (() => {
  try {
    return localStorage.getItem('duto.theme');
  } catch {
    return null;
  }
})();
const dark = stored === 'dark' || (stored !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
document.documentElement.classList.toggle('dark-mode', dark);

window.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  tryItOutEnabled: true,
  // The validator is a service elsewhere: no document leaves this machine.
  validatorUrl: null,
});
