// Fetches an icon as a `data:` address, or gives null: not an image, too large, too slow, not allowed.
async (address, bytesMax, limitMs) => {
  const response = await fetch(address, { cache: 'force-cache', signal: AbortSignal.timeout(limitMs) });
  if (!response.ok || !response.body) return null;
  const type = (response.headers.get('content-type') ?? '').split(';')[0].trim();
  if (!/^image\/[a-z0-9.+-]{1,32}$/.test(type)) return null;
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > bytesMax) return null;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  return `data:${type};base64,${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`;
}
