// What a tab strip shows of a document. Runs in an isolated world: the page cannot see or change it.
(() => {
  const link = document.querySelector('link[rel~="icon" i][href]');
  const web = /^https?:$/.test(location.protocol);
  return {
    loading: document.readyState !== 'complete',
    icon: link ? link.href : web ? location.origin + '/favicon.ico' : null,
  };
})()
