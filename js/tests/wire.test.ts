import { describe, expect, it } from "vitest";
import { decodeArray, decodeTrait, flatNumbers, fromFloat16, type NDArray } from "../src/core/wire";

const half = (bits: number) => fromFloat16(Uint16Array.of(bits))[0];

describe("float16", () => {
  it("decodes normal numbers, both zeros and the largest", () => {
    expect(half(0x3c00)).toBe(1);
    expect(half(0xc000)).toBe(-2);
    expect(half(0x3555)).toBe(0.333251953125); // 1/3 rounded to half precision
    expect(half(0x7bff)).toBe(65504);
    expect(half(0x0000)).toBe(0);
    expect(half(0x8000)).toBe(-0);
  });
  it("decodes subnormals exactly, down to 2^-24, and the smallest normal", () => {
    expect(half(0x0001)).toBe(2 ** -24);
    expect(half(0x83ff)).toBe(-1023 * 2 ** -24);
    expect(half(0x0400)).toBe(2 ** -14);
  });
  it("decodes infinities and NaN", () => {
    expect(half(0x7c00)).toBe(Infinity);
    expect(half(0xfc00)).toBe(-Infinity);
    expect(half(0x7e00)).toBeNaN();
  });
});

describe("arrays", () => {
  it("reads a view that starts at an odd byte of a message", () => {
    const values = Float32Array.of(1.5, -2.25, 1e-30);
    const message = new Uint8Array(3 + values.byteLength);
    message.set(new Uint8Array(values.buffer), 3);
    const array = decodeArray({ dtype: "float32", shape: [3, 1], data: new DataView(message.buffer, 3, 12) });
    expect([...array.data]).toEqual([...values]);
    expect(array.shape).toEqual([3, 1]);
  });
  it("reads the same bytes from base64", () => {
    const base64 = btoa(String.fromCharCode(...new Uint8Array(Uint16Array.of(0x3c00, 0x0001).buffer)));
    const array = decodeArray({ dtype: "float16", shape: [2], data: { base64 } });
    expect([...array.data]).toEqual([1, 2 ** -24]);
  });
  it("decodes once, so that a scene can compare by identity", () => {
    const wire = { dtype: "uint8", shape: [2], data: Uint8Array.of(1, 2) };
    expect(decodeTrait(wire)).toBe(decodeTrait(wire));
  });
  it("refuses bytes that do not fill the shape, and unknown types, in one sentence", () => {
    expect(() => decodeArray({ dtype: "float32", shape: [2, 2], data: new Uint8Array(12) })).toThrow("shape (2, 2)");
    expect(() => decodeArray({ dtype: "complex64", shape: [1], data: new Uint8Array(8) })).toThrow("complex64");
  });
  it("decodes arrays inside an object and leaves other values alone", () => {
    const trait = decodeTrait({
      weights: { dtype: "float64", shape: [2], data: Float64Array.of(0.25, 0.75) },
      name: "x",
    });
    expect([...(trait as { weights: NDArray }).weights.data]).toEqual([0.25, 0.75]);
    const list = [1, 2];
    expect(decodeTrait(list)).toBe(list);
    expect(decodeTrait(null)).toBe(null);
  });
  it("flattens nested lists", () => {
    expect([...flatNumbers([[[1, 2]], [[3, 4]]])]).toEqual([1, 2, 3, 4]);
  });
});
