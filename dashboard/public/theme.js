// A theme that the reader chose, before the first paint. Kept by src/theme/theme.svelte.ts.
try {
  const theme = new URLSearchParams(location.hash.slice(1)).get('theme') ?? localStorage.getItem('duto.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system's theme it is.
}
