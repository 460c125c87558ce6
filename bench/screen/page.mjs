// What runs inside the Chromium that looks: from a key that is sent to the colour that is decoded. Each function is sent to the page
// as text, so it uses nothing from outside itself.

/** Through the live view's protocol, decoded by WebCodecs. */
export async function keysToPixels({ url, keys }) {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  let seen = () => {};
  let shown;
  const decoder = new VideoDecoder({
    output: (frame) => {
      context.drawImage(frame, 600, 300, 1, 1, 0, 0, 1, 1);
      frame.close();
      const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
      shown = red > blue ? 'red' : 'blue';
      seen(shown);
    },
    error: (error) => console.error(error),
  });
  decoder.configure({ codec: 'avc1.42E01F', optimizeForLatency: true });
  let started = false;
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') return;
    const view = new DataView(data);
    const key = (view.getUint8(2) & 1) === 1;
    started ||= key;
    if (started) decoder.decode(new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: Number(view.getBigUint64(8)), data: data.slice(20) }));
    socket.send(JSON.stringify({ type: 'ack', sequence: view.getUint32(4) }));
  };
  const send = (message) => socket.send(JSON.stringify(message));
  await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onerror = () => reject(new Error('no connection')))));
  const first = new Promise((resolve) => (seen = resolve));
  send({ type: 'start', version: 1, codings: ['h264'] });
  await first;
  send({ type: 'mouse', kind: 'down', x: 600, y: 300, button: 'left', buttons: 1, clicks: 1, modifiers: 0 });
  send({ type: 'mouse', kind: 'up', x: 600, y: 300, button: 'left', buttons: 0, clicks: 1, modifiers: 0 });
  const times = [];
  for (let count = 0; count < keys; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, 120 + Math.random() * 60));
    // What is shown after the pause: pictures may still have been on their way before it.
    const wanted = shown === 'red' ? 'blue' : 'red';
    const flipped = new Promise((resolve) => (seen = (now) => now === wanted && resolve()));
    const begun = performance.now();
    for (const kind of ['down', 'up']) send({ type: 'key', kind, key: 'a', code: 'KeyA', location: 0, modifiers: 0, repeat: false, ...(kind === 'down' && { text: 'a' }) });
    await flipped;
    times.push(performance.now() - begun);
  }
  socket.close();
  return times;
}

/** Through the DevTools protocol itself, shown by an image element. */
export async function peerKeysToPixels({ url, keys }) {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const image = document.body.appendChild(new Image());
  const socket = new WebSocket(url);
  let seen = () => {};
  let shown;
  let id = 0;
  const call = (method, params = {}) => socket.send(JSON.stringify({ id: (id += 1), method, params }));
  image.onload = () => {
    context.drawImage(image, 600, 300, 1, 1, 0, 0, 1, 1);
    const [red, , blue] = context.getImageData(0, 0, 1, 1).data;
    shown = red > blue ? 'red' : 'blue';
    seen(shown);
  };
  socket.onmessage = ({ data }) => {
    const { method, params } = JSON.parse(data);
    if (method !== 'Page.screencastFrame') return;
    call('Page.screencastFrameAck', { sessionId: params.sessionId });
    image.src = `data:image/jpeg;base64,${params.data}`;
  };
  await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onerror = () => reject(new Error('no connection')))));
  const first = new Promise((resolve) => (seen = resolve));
  call('Page.bringToFront');
  call('Page.startScreencast', { format: 'jpeg', quality: 80, maxWidth: 1280, maxHeight: 720 });
  // A still page does not repaint for the screencast: a key makes it.
  const press = () => {
    call('Input.dispatchKeyEvent', { type: 'keyDown', key: 'a', code: 'KeyA', windowsVirtualKeyCode: 65, text: 'a' });
    call('Input.dispatchKeyEvent', { type: 'keyUp', key: 'a', code: 'KeyA', windowsVirtualKeyCode: 65 });
  };
  press();
  await first;
  const times = [];
  for (let count = 0; count < keys; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, 120 + Math.random() * 60));
    // What is shown after the pause: pictures may still have been on their way before it.
    const wanted = shown === 'red' ? 'blue' : 'red';
    const flipped = new Promise((resolve) => (seen = (now) => now === wanted && resolve()));
    const begun = performance.now();
    press();
    await flipped;
    times.push(performance.now() - begun);
  }
  socket.close();
  image.remove();
  return times;
}
