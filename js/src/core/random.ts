/** Random numbers that a seed decides, in the browser: mulberry32, and normal ones by Box and Muller. */

/** Uniform numbers in [0, 1). */
export function uniforms(seed: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) + 0x5452_4157) >>> 0; // neighbouring seeds far apart
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

/** Standard normal numbers. */
export function normals(uniform: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
