/** OKLab, a space in which distances are about what the eye sees (Ottosson 2020), to and from sRGB. */

/** Lightness 0 to 1, and two opponent axes; hue is the angle of the latter, chroma their length. */
export type OKLab = readonly [number, number, number];

const fromLinear = (v: number) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
const toLinear = (v: number) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);

/** Red, green, blue in [0, 1]; outside of it where sRGB has no such colour. */
export function rgbOf([lightness, a, b]: OKLab): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    fromLinear(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    fromLinear(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    fromLinear(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** "#rrggbb" of the nearest colour that sRGB has, channel by channel. */
export function hexOf(lab: OKLab): string {
  const byte = (v: number) => Math.round(255 * Math.min(1, Math.max(0, v)));
  return `#${rgbOf(lab)
    .map((v) => byte(v).toString(16).padStart(2, "0"))
    .join("")}`;
}

/** OKLab of red, green, blue, each 0 to 255. */
export function oklabOf([red, green, blue]: readonly [number, number, number]): OKLab {
  const [r, g, b] = [red, green, blue].map((v) => toLinear(v / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}
