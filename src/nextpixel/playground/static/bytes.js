/** Arrays of bytes as the text that JSON carries (base64), there and back. */

const CHUNK = 0x8000; // arguments that a call may have

/** Bytes -> base64. */
export function encode(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(text);
}

/** Base64 -> bytes. */
export function decode(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Base64 of float32, little-endian -> numbers. */
export function decodeFloats(text) {
  const view = new DataView(decode(text).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
