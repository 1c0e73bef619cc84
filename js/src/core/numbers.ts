/** How numbers are written: three significant digits, a true minus sign, the error beside its value. */
export const DASH = "–";
const MINUS = "−";

const known = (x: number | null | undefined): x is number => typeof x === "number" && Number.isFinite(x);
/** A true minus sign; what rounds to nothing has none. */
const signed = (text: string) =>
  text
    .replace(/-(?=[0.]+(?![\d.]))/, "")
    .replace("-", MINUS)
    .replace("e-", `e${MINUS}`);

/** "0.353", "12.4", "4,210", "8.20e−8"; a dash for what is not known. */
export function format(x: number | null | undefined, digits = 3): string {
  if (x === Infinity || x === -Infinity) return x > 0 ? "∞" : `${MINUS}∞`;
  if (!known(x)) return DASH;
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-3 || size >= 1e6) return signed(x.toExponential(digits - 1));
  if (size >= 10 ** digits) return signed(Math.round(x).toLocaleString("en-US"));
  return signed(x.toPrecision(digits));
}

/** As `format`, without trailing zeros: "0.008", "1e−4". What a hand has set, and ticks. */
export const short = (x: number, digits = 3): string =>
  format(x, digits)
    .replace(/^([^e]*\.\d*?)0+(?=e|$)/, "$1")
    .replace(/\.(?=e|$)/, "");

/** A whole number with thousands separated. */
export const count = (x: number): string => signed((Math.round(x) + 0).toLocaleString("en-US"));

/** "0.482 ± 0.004": the error, one standard error, has one digit (two if it begins with 1) and sets the value's last place. */
export function withError(x: number | null | undefined, error: number | null | undefined): string {
  if (!known(x) || !known(error) || error <= 0) return format(x);
  if (error < 2e-5 * Math.abs(x)) return format(x); // known beyond what anybody reads
  const digits = error / 10 ** Math.floor(Math.log10(error)) < 2 ? 2 : 1;
  const place = digits - 1 - Math.floor(Math.log10(Number(error.toPrecision(digits))));
  const largest = Math.max(Math.abs(x), error);
  if (largest < 1e-3 || largest >= 1e6) {
    const power = Math.floor(Math.log10(largest));
    const scaled = (v: number) => (v / 10 ** power).toFixed(Math.max(0, place + power));
    return signed(`(${scaled(x)} ± ${scaled(error)})e${power}`);
  }
  return signed(`${x.toFixed(Math.max(0, place))} ± ${error.toFixed(Math.max(0, place))}`);
}
