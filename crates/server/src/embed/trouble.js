// Tells the page around this one that there is no session here, and again whenever it asks. It tells nothing that is secret,
// so that everybody may hear it.
const { reason, message } = document.documentElement.dataset;
const tell = () =>
  parent !== window &&
  parent.postMessage({ type: "bbx-sos", data: { reasonCode: reason, message, retryUrl: null } }, "*");
addEventListener("message", (event) => event.source === parent && event.data?.type === "init" && tell());
tell();
