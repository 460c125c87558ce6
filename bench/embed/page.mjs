// What runs inside the two pages: the embedder's, and the session's in its frame. Each function is sent to a page as text, so it uses
// nothing from outside itself. Times are milliseconds since 1970, which every page and program of the machine shares.

/** Puts an element into the embedder's page; the time at which it was ready. */
export async function ready(link) {
  const element = document.createElement('browserbox-webview');
  element.setAttribute('login-link', link);
  element.setAttribute('height', '720');
  const said = new Promise((resolve) => element.addEventListener('api-ready', resolve, { once: true }));
  document.body.replaceChildren(element);
  await said;
  return performance.timeOrigin + performance.now();
}

/** The time at which the first picture is on the session's page. */
export function painted() {
  const fresh = 300;
  return new Promise((resolve) => {
    const look = () => {
      const canvas = document.querySelector('#picture');
      if (canvas?.width > fresh) resolve(performance.timeOrigin + performance.now());
      else requestAnimationFrame(look);
    };
    look();
  });
}

/** How long each of `count` calls took. */
export async function calls({ count, method }) {
  const element = document.querySelector('browserbox-webview');
  const act = { title: () => element.page.title(), click: () => element.click('#target') }[method];
  const times = [];
  for (let call = 0; call < count; call += 1) {
    const begun = performance.now();
    await act();
    times.push(performance.now() - begun);
  }
  return times;
}

/** From keys that come to the frame to the colour that is drawn for them; the keys are the person's to press. */
export function listen() {
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  let shown;
  let pressed;
  globalThis.times = [];
  CanvasRenderingContext2D.prototype.drawImage = function drawImage(...what) {
    draw.apply(this, what);
    if (this.canvas.id !== 'picture') return;
    pixel.drawImage(this.canvas, this.canvas.width / 2, this.canvas.height / 2, 1, 1, 0, 0, 1, 1);
    const [red, , blue] = pixel.getImageData(0, 0, 1, 1).data;
    const colour = red > blue ? 'red' : 'blue';
    if (pressed && shown && colour !== shown) {
      times.push(performance.now() - pressed);
      pressed = undefined;
    }
    shown = colour;
  };
  addEventListener('keydown', () => (pressed = performance.now()), { capture: true });
}
