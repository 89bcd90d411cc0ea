// Runs before anything is drawn, so that the colours that were chosen are there from the start.

document.documentElement.dataset.theme = (() => {
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  try {
    return localStorage.getItem('nsqadmin.theme') || system
  } catch {
    return system
  }
})()
