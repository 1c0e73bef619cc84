/**
 * Products of arithmetic progressions between their integer steps, by the gamma function: what DDPM's betas multiply to.
 *
 * log of b^k Gamma(z) / Gamma(z - k) for a progression that falls, b^k Gamma(z + k) / Gamma(z) for one that rises. The two
 * lnGammas are of order 5e5 and differ by 10: Stirling's series is subtracted term by term before numbers are put in.
 */
const DDPM_STEPS = 1000;

/** 1/(12 x) - 1/(360 x^3) + 1/(1260 x^5): what Stirling's formula adds to (x - 1/2) ln x - x + ln(2 pi)/2. */
function stirlingTail(x: number): number {
  const y = 1 / (x * x);
  return (1 / 12 - (1 / 360 - y / 1260) * y) / x;
}

/** -(1 - u) ln(1 - u) - u, without the cancellation that writing it so would suffer at small u of either sign. */
function entropyDefect(u: number): number {
  if (Math.abs(u) > 0.1) return -(1 - u) * Math.log1p(-u) - u;
  let sum = 0;
  let power = u;
  for (let n = 2; n <= 20; n++) {
    power *= u;
    sum -= power / (n * (n - 1));
  }
  return sum;
}

/**
 * log of the product of k factors start, start - d, start - 2 d, ... for real k; d may be negative.
 *
 * For d > 0 it is k ln d + lnGamma(x) - lnGamma(x - k) with x = start/d + 1; for d < 0, with e = -d and w = start/e,
 * k ln e + lnGamma(w + k) - lnGamma(w). `start` is given as 1 + `above`, which keeps the digits of a small beta.
 */
export function logProduct(k: number, above: number, d: number): number {
  if (d === 0) return k * Math.log1p(above);
  if (d > 0) {
    const x = (1 + above) / d + 1;
    const u = k / x;
    return (
      k * Math.log1p(d + above) + x * entropyDefect(u) + 0.5 * Math.log1p(-u) + stirlingTail(x) - stirlingTail(x - k)
    );
  }
  const w = (1 + above) / -d;
  const u = k / w;
  return k * Math.log1p(above) - w * entropyDefect(-u) - 0.5 * Math.log1p(u) + stirlingTail(w + k) - stirlingTail(w);
}

/** log of prod_{j <= k} (1 - beta_j) for DDPM's betas linspace(beta_min, beta_max, 1000), at k = 1000 t. */
export function logAlphaBarLinear(betaMin: number, betaMax: number, t: number): number {
  const k = DDPM_STEPS * t;
  const log = logProduct(k, -betaMin, (betaMax - betaMin) / (DDPM_STEPS - 1));
  // before the first step the continuation may rise above 1, if betas start lower than they rise
  return Math.min(log, (Math.log1p(-betaMin) * k) / 2);
}

/** The same for betas that are the squares of an even progression: 1 - (a + b j)^2 = (1 - a - b j)(1 + a + b j). */
export function logAlphaBarSquares(betaMin: number, betaMax: number, t: number): number {
  const k = DDPM_STEPS * t;
  const a = Math.sqrt(betaMin);
  const b = (Math.sqrt(betaMax) - a) / (DDPM_STEPS - 1);
  return logProduct(k, -a, b) + logProduct(k, a, -b);
}
