/**
 * Arrays on the wire: `{dtype, shape, data}` with the numbers as a binary buffer, never as a JSON list.
 *
 * In JupyterLab `data` is a DataView on the message; in a saved page it is `{base64}` with the same bytes. Bytes are
 * little-endian, as every browser's typed arrays are. float16 is decoded to float32 here, once, so that no scene has
 * to know about it.
 */

export type TypedArray =
  Float32Array | Float64Array | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

export interface NDArray<T extends TypedArray = TypedArray> {
  /** numpy's name of the type on the wire; a float16 array is decoded to a Float32Array. */
  dtype: string;
  shape: number[];
  /** Row-major values, `shape` multiplied out. */
  data: T;
}

interface WireArray {
  dtype: string;
  shape: number[];
  data: ArrayBuffer | ArrayBufferView | { base64: string };
}

type Constructor = { new (buffer: ArrayBuffer): TypedArray; BYTES_PER_ELEMENT: number };

const TYPES: Record<string, Constructor> = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
};

// A trait is read many times between two messages; its bytes are decoded once.
const decoded = new WeakMap<object, NDArray>();

export function isWireArray(value: unknown): value is WireArray {
  if (value === null || typeof value !== "object") return false;
  const v = value as Partial<WireArray>;
  return typeof v.dtype === "string" && Array.isArray(v.shape) && v.data !== undefined;
}

const decodedTraits = new WeakMap<object, unknown>();

/** Decode a trait: wire arrays become NDArray, also inside objects and lists of objects; anything else passes. */
export function decodeTrait(value: unknown): unknown {
  if (isWireArray(value)) return decodeArray(value);
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value) && (value[0] === null || typeof value[0] !== "object")) return value; // plain numbers
  const known = decodedTraits.get(value);
  if (known) return known;
  const found = Array.isArray(value) ? decodeList(value) : decodeObject(value);
  decodedTraits.set(value, found);
  return found;
}

/** The same object when nothing in it was an array: small state is compared by identity here and there. */
function decodeObject(value: object): unknown {
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).map(([k, v]) => [k, decodeTrait(v)] as const);
  return entries.every(([k, v]) => v === (value as Record<string, unknown>)[k]) ? value : Object.fromEntries(entries);
}

function decodeList(value: readonly unknown[]): unknown {
  const items = value.map(decodeTrait);
  return items.every((v, i) => v === value[i]) ? value : items;
}

/** Throws an Error with one sentence when the type is unknown or the bytes do not fill the shape. */
export function decodeArray(wire: WireArray): NDArray {
  const known = decoded.get(wire);
  if (known) return known;
  const type = TYPES[wire.dtype];
  if (!type) throw new Error(`The kernel sent an array of type ${wire.dtype}, which this page does not know.`);
  const bytes = bytesOf(wire.data);
  const count = wire.shape.reduce((product, n) => product * n, 1);
  if (bytes.byteLength !== count * type.BYTES_PER_ELEMENT) {
    throw new Error(
      `The kernel sent ${bytes.byteLength} bytes for an array of shape (${wire.shape.join(", ")}) and type ${wire.dtype}.`,
    );
  }
  // Offsets inside a message need not be multiples of the item size, so the bytes are copied to a buffer of their own.
  const raw = new type(bytes.slice().buffer as ArrayBuffer);
  const data = wire.dtype === "float16" ? fromFloat16(raw as Uint16Array) : raw;
  const array = { dtype: wire.dtype, shape: [...wire.shape], data };
  decoded.set(wire, array);
  return array;
}

function bytesOf(data: WireArray["data"]): Uint8Array {
  if ("base64" in data) return fromBase64(data.base64);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** All 65,536 half-precision numbers: a table is simpler than bit tricks per value, and faster. */
let halves: Float32Array | undefined;

function halfTable(): Float32Array {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

export function fromFloat16(bits: Uint16Array): Float32Array {
  halves ??= halfTable();
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = halves[bits[i]];
  return out;
}

/** Numbers of a small trait that may come as nested lists or as an array. */
export function flatNumbers(value: unknown): Float64Array {
  if (value !== null && typeof value === "object" && "data" in value) {
    return Float64Array.from((value as NDArray).data);
  }
  return Float64Array.from((value as number[]).flat(8) as number[]);
}
