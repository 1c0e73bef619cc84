import { describe, expect, it } from "vitest";
import { logAlphaBarLinear } from "../src/core/arithmetic_product";
import { alphaSigma, chainTable, complaint, logSnr } from "../src/core/schedule";

const linear = { name: "VPLinear", params: { beta_min: 1e-4, beta_max: 0.02 } };
const cosine = { name: "VPCosine", params: { s: 0.008 } };
const geometric = { name: "Geometric", params: { sigma_min: 0.01, sigma_max: 50 } };

describe("VPLinear", () => {
  it("is the product of DDPM's 1 - beta at every k of 1000", () => {
    let log = 0;
    for (let k = 1; k <= 1000; k++) {
      log += Math.log1p(-(1e-4 + ((0.02 - 1e-4) * (k - 1)) / 999));
      // both sides add about k rounded terms of size below one
      expect(Math.abs(logAlphaBarLinear(1e-4, 0.02, k / 1000) - log)).toBeLessThan(4e-16 * (k + 10));
    }
  });

  it("continues smoothly between the steps: the second difference is that of log(1 - beta)", () => {
    const at = (k: number) => logAlphaBarLinear(1e-4, 0.02, k / 1000);
    // d^2/dk^2 log alpha_bar = -trigamma(x - k), about -d/(1 - beta): constant to its next order, d^2
    const d = (0.02 - 1e-4) / 999;
    for (const k of [10.5, 300.25, 999]) {
      const second = at(k + 1) - 2 * at(k) + at(k - 1);
      expect(second / -d).toBeGreaterThan(1);
      expect(second / -d).toBeLessThan(1 / (1 - 0.0201));
    }
  });

  it("takes equal betas, where the gamma function has no spacing to work with", () => {
    expect(logAlphaBarLinear(0.01, 0.01, 0.5)).toBeCloseTo(500 * Math.log(0.99), 12);
  });
});

describe("every schedule", () => {
  it("is clean data at t = 0 exactly", () => {
    for (const schedule of [linear, cosine, geometric]) {
      expect(alphaSigma(schedule, 0)).toEqual({ alpha: 1, sigma: 0 });
      expect(logSnr(schedule, 0)).toBe(Infinity);
    }
  });

  it("preserves variance where it says so", () => {
    for (const schedule of [linear, cosine])
      for (const t of [1e-6, 0.01, 0.3, 0.9, 1]) {
        const { alpha, sigma } = alphaSigma(schedule, t);
        expect(Math.abs(alpha ** 2 + sigma ** 2 - 1)).toBeLessThan(1e-12);
      }
  });

  it("says in one sentence what is wrong with a bad one", () => {
    expect(() => alphaSigma({ name: "Nope", params: {} }, 0.5)).toThrow("Nope is not in this page: it needs Python");
    expect(() => alphaSigma({ name: "VPCosine", params: { s: "wide" } }, 0.5)).toThrow("needs a number for s");
    expect(complaint({ name: "Geometric", params: { sigma_min: 2, sigma_max: 1 } })).toMatch(
      /^Geometric needs 0 < sigma_min < sigma_max\.$/,
    );
    expect(complaint({ name: "VPLinear", params: { beta_min: 0.03, beta_max: 0.02 } })).toMatch(/beta_min < beta_max/);
    expect(complaint({ name: "VPCosine", params: { s: NaN } })).not.toBeNull();
    for (const schedule of [linear, cosine, geometric]) expect(complaint(schedule)).toBeNull();
  });
});

describe("the ends", () => {
  it("VPCosine stops at a log-SNR of -20", () => {
    expect(logSnr(cosine, 1)).toBeCloseTo(-20, 10);
    expect(logSnr(cosine, 0.99999999)).toBeCloseTo(-20, 10);
  });

  it("VPCosine's sigma is exact near the data: sigma^2 -> (pi / (1 + s)) tan(u_0) t", () => {
    const t = 1e-9;
    const slope = (Math.PI / 1.008) * Math.tan(((0.008 / 1.008) * Math.PI) / 2);
    // the next term of the expansion is of relative size t / (2 tan u_0) * pi/2, below 1e-6 here
    expect(alphaSigma(cosine, t).sigma ** 2 / (slope * t)).toBeCloseTo(1, 6);
  });

  it("a geometric chain runs from sigma_min to sigma_max", () => {
    const { sigma } = chainTable(geometric, 50);
    expect([sigma[0], sigma[50]]).toEqual([0, 50]);
    expect(sigma[1]).toBeCloseTo(0.01, 9);
    expect(sigma[2] / sigma[1]).toBeCloseTo(5000 ** (1 / 49), 6);
  });
});

describe("chainTable", () => {
  it("has betas that make its own marginals", () => {
    for (const schedule of [linear, cosine, geometric])
      for (const steps of [1, 10, 1000]) {
        const { alpha, sigma, beta } = chainTable(schedule, steps);
        for (let k = 1; k <= steps; k++) {
          const ratio = alpha[k] / alpha[k - 1];
          expect(Math.abs((ratio * sigma[k - 1]) ** 2 + beta[k] - sigma[k] ** 2)).toBeLessThan(
            1e-13 * (1 + sigma[k] ** 2),
          );
        }
      }
  });

  it("clips the cosine's betas at 0.999", () => {
    const { beta } = chainTable(cosine, 1000);
    expect(Math.max(...beta.slice(1))).toBe(0.999);
  });

  it("refuses a chain of no steps", () => {
    expect(() => chainTable(cosine, 0)).toThrow("at least one step");
    expect(() => chainTable(cosine, 2.5)).toThrow("at least one step");
  });
});
