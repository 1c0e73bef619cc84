import { describe, expect, it } from "vitest";
import { count, format, short, withError } from "../src/core/numbers";

describe("format", () => {
  it("writes three significant digits with a true minus sign", () => {
    expect([0.35349, 12.44, 4210.3, -0.1929, 8.2e-8, -8.2e-8, 0, 1.5e7].map((v) => format(v))).toEqual(
      ["0.353", "12.4", "4,210", "−0.193", "8.20e−8", "−8.20e−8", "0", "1.50e+7"], // prettier-ignore
    );
  });
  it("never writes NaN", () => {
    expect([NaN, null, undefined].map((v) => format(v))).toEqual(["–", "–", "–"]);
    expect([Infinity, -Infinity].map((v) => format(v))).toEqual(["∞", "−∞"]);
    expect(withError(NaN, 0.1)).toBe("–");
  });
});

it("short drops the zeros that say nothing", () => {
  expect([0.008, 50, 1e-4, 1, 100, 0.0204].map((v) => short(v))).toEqual(["0.008", "50", "1e−4", "1", "100", "0.0204"]);
});

it("count has no sign at zero", () => {
  expect([-0, 1000, 20000].map(count)).toEqual(["0", "1,000", "20,000"]);
});

describe("withError", () => {
  it("rounds the value where its error is", () => {
    expect(withError(0.48234, 0.0041)).toBe("0.482 ± 0.004");
    expect(withError(0.48234, 0.00142)).toBe("0.4823 ± 0.0014");
    expect(withError(-0.1929, 0.02)).toBe("−0.19 ± 0.02");
    expect(withError(3.1e-4, 0.7e-4)).toBe("(3.1 ± 0.7)e−4");
    expect(withError(1234.6, 20)).toBe("1235 ± 20");
    expect([-0.0002, -0.0012, -2e-6].map((v) => withError(v, 0.003))).toEqual(["0.000 ± 0.003", "−0.001 ± 0.003", "0.000 ± 0.003"]); // prettier-ignore
  });
  it("leaves out an error that is not there or that nobody could read", () => {
    expect(withError(0.353, null)).toBe("0.353");
    expect(withError(0.353, 0)).toBe("0.353");
    expect(withError(-0.1929931, 3.6e-15)).toBe("−0.193");
  });
});
