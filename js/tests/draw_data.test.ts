import { describe, expect, it } from "vitest";
import { normals, uniforms } from "../src/core/random";
import {
  added,
  covariance,
  dragged,
  emptySpot,
  gripAt,
  handles,
  mixtureOf,
  moved,
  removed,
  share,
  sigmaOfEllipses,
  standardEllipses,
  turned,
  weighed,
  type Ellipse,
} from "../src/scenes/drawn_ellipses";
import {
  decodePoints,
  encodePoints,
  fitted,
  largest,
  MOST_POINTS,
  NO_POINTS,
  sigmaOfPoints,
  Sketch,
  standardPoints,
  type Points,
} from "../src/scenes/drawn_points";
import { parsePoints } from "../src/scenes/pasted_points";

const points = (xy: number[], classes = new Array<number>(xy.length / 2).fill(0)): Points => ({
  xy: Float32Array.from(xy),
  classes: Uint8Array.from(classes),
});
const rows = (p: Points) => Array.from(p.classes, (kind, i) => [p.xy[2 * i], p.xy[2 * i + 1], kind]);

describe("pasted text", () => {
  const due = [
    [0.5, 1.25, 0],
    [-2, 3, 0],
  ];
  it.each([
    ["CSV with a header", "x,y\n0.5,1.25\n-2,3\n"],
    ["TSV, Windows line ends", "0.5\t1.25\r\n-2\t3\r\n"],
    ["columns, comments, blank lines", "# mine\n\n  0.5   1.25  # first\n-2 3"],
    ["decimal commas", "0,5;1,25\n-2;3"],
    ["quoted cells", '"x","y"\n"0.5","1.25"\n"-2","3"'],
    ["JSON", "[[0.5, 1.25], [-2, 3]]"],
    ["Python's tuples", "[(0.5, 1.25), (-2, 3)]"],
    ["numpy", "[[ 0.5   1.25]\n [-2.    3.  ]]"],
    ["numpy's repr", "array([[ 0.5 ,  1.25],\n       [-2.  ,  3.  ]], dtype=float32)"],
    ["a tensor's", "tensor([[ 5.0000e-01,  1.2500e+00],\n        [-2.0000e+00,  3.0000e+00]])"],
  ])("%s", (_, text) => expect(rows(parsePoints(text))).toEqual(due));

  it("with classes", () => {
    expect(rows(parsePoints("x y class\n0 1 2\n3 4 9"))).toEqual([
      [0, 1, 2],
      [3, 4, 9],
    ]);
    expect(rows(parsePoints("[[0. 1. 2.]]"))).toEqual([[0, 1, 2]]);
  });

  it.each([
    ["", "There is nothing to read: a point is x and y, or x, y and a class, one point a line."],
    ["x,y", "There is no number in this text: a point is x and y, or x, y and a class, one point a line."],
    ["1 2\n3", "Line 2 has one number, but the first one has 2."],
    ["1 2 3 4", "Line 1 has 4 numbers: a point is x and y, or x, y and a class."],
    ["1 2\n3 four", 'Line 2: "four" is no number.'],
    ["1 2\nnan 1", 'Line 2: "nan" is no number.'],
    ["nan 1\n1 2", 'Line 1: "nan" is no number.'],
    ["0 0 10", "Line 1 has the class 10: classes are the whole numbers from 0 to 9."],
    ["0 0 1.5", "Line 1 has the class 1.5: classes are the whole numbers from 0 to 9."],
    [
      "[1, 2, 3, 4]",
      "This is one list of 4 numbers: a point is x and y, or x, y and a class, each in brackets of its own.",
    ],
    [
      "[[0 1]\n ...\n [2 3]]",
      'Rows were left out ("..."): print the whole array, or use scene.set_points(array) in Python.',
    ],
    ["[[1, null]]", 'Row 1: "null" is no number.'],
    ["1e39 0", "One of these numbers is too large to be drawn."],
    ["0 0\n".repeat(MOST_POINTS + 1), "These are 20,001 points; a drawing has at most 20,000."],
    ["<img src=x onerror=alert(1)>", 'Row 1: "1" is no number.'],
  ])("refuses %j in one sentence", (text, sentence) => {
    if (text.startsWith("<img")) return expect(() => parsePoints(text)).toThrow(/has one number/);
    expect(() => parsePoints(text)).toThrow(sentence);
  });

  it("takes as many points as a drawing has", () => {
    expect(parsePoints("0 0\n".repeat(MOST_POINTS)).classes.length).toBe(MOST_POINTS);
  });
});

describe("points", () => {
  it("cross the wire to the bit", () => {
    const uniform = uniforms(3);
    const given = points(
      Array.from({ length: 2 * MOST_POINTS }, () => 4 * uniform() - 2),
      Array.from({ length: MOST_POINTS }, (_, i) => i % 10),
    );
    expect(decodePoints(encodePoints(given))).toEqual(given);
    expect(decodePoints(encodePoints(NO_POINTS))).toEqual(NO_POINTS);
    // the bytes of 1 and -2 in IEEE 754, little end first: 00 00 80 3f, 00 00 00 c0
    expect(encodePoints(points([1, -2], [7]))).toEqual({ xy: "AACAPwAAAMA=", classes: "Bw==" });
  });

  it("grow, are erased, and are full at the most", () => {
    const sketch = new Sketch(points([0, 0, 1, 0, 2, 0], [1, 2, 3]));
    sketch.erase(1, 0.1, 0.2);
    expect(rows(sketch.points())).toEqual([
      [0, 0, 1],
      [2, 0, 3],
    ]);
    expect(sketch.erasures).toBe(1);
    sketch.erase(5, 5, 1);
    expect(sketch.erasures).toBe(1);
    while (sketch.add(0.5, 0.5, 0));
    expect(sketch.count).toBe(MOST_POINTS);
    expect(rows(sketch.points())[1]).toEqual([2, 0, 3]);
  });

  it("are fitted to the sheet only where they do not lie well", () => {
    const well = points([0, 0, 1, -2.4]);
    expect(fitted(well)).toEqual({ points: well, scale: 1 });
    // a width of 10 and a height of 5 become 4 and 2 around the origin
    expect(fitted(points([0, 0, 10, 5]))).toEqual({ points: points([-2, -1, 2, 1]), scale: 0.4 });
    const tiny = fitted(points([1e-3, 0, -1e-3, 0]));
    expect(tiny.scale).toBeCloseTo(2000, 3); // float32 of 1e-3 is off by 5e-8 of itself
    expect(largest(tiny.points)).toBeCloseTo(2, 6);
    expect(fitted(points([7, 7]))).toEqual({ points: points([0, 0]), scale: 1 });
  });

  it("have variance 1 once they are scaled to it", () => {
    const uniform = uniforms(1);
    const given = points(Array.from({ length: 400 }, (_, i) => (i % 2 ? 5 : 1) * uniform() + 3));
    const { points: scaled } = standardPoints(given)!;
    // means and variances of 200 float32 numbers of size 3: rounding of 3e-7 each, less on average
    expect(sigmaOfPoints(scaled)).toBeCloseTo(1, 6);
    expect(scaled.xy.reduce((sum, v, i) => sum + (i % 2 ? 0 : v), 0) / 200).toBeCloseTo(0, 6);
    expect(standardPoints(points([1, 1, 1, 1]))).toBeNull();
  });
});

const one: Ellipse = { weight: 0.25, mean: [1, 0.5], axes: [0.6, 0.2], angle: Math.PI / 6 };
const two: Ellipse = { weight: 0.75, mean: [-1, 0], axes: [0.3, 0.3], angle: 0 };

describe("ellipses", () => {
  it("are covariances", () => {
    // at 30 degrees cos^2 = 3/4, sin^2 = 1/4, cos sin = sqrt(3)/4; axes squared 0.36 and 0.04
    const [xx, xy, yy] = covariance(one);
    expect(xx).toBeCloseTo(0.36 * 0.75 + 0.04 * 0.25, 14);
    expect(yy).toBeCloseTo(0.36 * 0.25 + 0.04 * 0.75, 14);
    expect(xy).toBeCloseTo((0.32 * Math.sqrt(3)) / 4, 14);
    const mixture = mixtureOf([one, two])!;
    expect(Array.from(mixture.weights)).toEqual([0.25, 0.75]);
    expect(Array.from(mixture.covariances.slice(4))).toEqual([0.09, 0, 0, 0.09].map((v) => expect.closeTo(v, 14)));
  });

  it("know sigma_data: the spread of very many samples", () => {
    // the standard error of a standard deviation of m numbers is about sd sqrt((kurtosis - 1) / (4 m)) < 0.002 here
    const uniform = uniforms(5);
    const normal = normals(uniform);
    let [sum, squares] = [0, 0];
    const m = 200_000;
    for (let i = 0; i < m; i++) {
      const e = uniform() < 0.25 ? one : two;
      const [u, v] = [e.axes[0] * normal(), e.axes[1] * normal()];
      const x = e.mean[0] + Math.cos(e.angle) * u - Math.sin(e.angle) * v;
      const y = e.mean[1] + Math.sin(e.angle) * u + Math.cos(e.angle) * v;
      sum += x + y;
      squares += x * x + y * y;
    }
    const sd = Math.sqrt(squares / (2 * m) - (sum / (2 * m)) ** 2);
    expect(Math.abs(sigmaOfEllipses([one, two]) - sd)).toBeLessThan(0.006);
    expect(sigmaOfEllipses(standardEllipses([one, two]).ellipses)).toBeCloseTo(1, 12);
  });

  it("share a weight of one, whatever one of them gets", () => {
    const three = added([one, two], [0, 2]);
    expect(share(three, 2)).toBeCloseTo(1 / 3, 14);
    const heavy = weighed(three, 0, 0.6);
    expect(share(heavy, 0)).toBeCloseTo(0.6, 14);
    expect(share(heavy, 1) / share(heavy, 2)).toBeCloseTo(share(three, 1) / share(three, 2), 12);
    expect(heavy.reduce((sum, e) => sum + e.weight, 0)).toBeCloseTo(1, 14);
    expect(removed(heavy, 0).reduce((sum, e) => sum + e.weight, 0)).toBeCloseTo(1, 14);
    expect(weighed([one], 0, 0.3)[0].weight).toBe(1);
    expect(weighed(three, 0, 2).every((e) => e.weight > 0)).toBe(true);
  });

  it("are taken by their handles, else by what lies within their outline", () => {
    for (const { part, x, y } of handles(one, 0.4)) {
      expect(gripAt([one, two], 0, [x + 0.02, y], 0.1, 0.4), part).toEqual({ index: 0, part });
    }
    const outside = handles(one, 0.4)[0];
    expect(gripAt([one, two], 1, [outside.x, outside.y], 0.1, 0.4)).toBeNull(); // handles of another one are not there
    expect(gripAt([one, two], -1, [1, 0.5], 0, 0)).toEqual({ index: 0, part: "move" });
    expect(gripAt([one, two], -1, [0, 2], 0, 0)).toBeNull();
  });

  it("follow the hand that drags a handle", () => {
    const [turn, first] = handles(one, 0.4);
    // along the axis by d: the outline at 2 standard deviations goes with the hand, so the axis grows by d / 2
    const to: [number, number] = [first.x + 0.2 * Math.cos(one.angle), first.y + 0.2 * Math.sin(one.angle)];
    const wide = dragged(one, "first", [first.x, first.y], to, false);
    expect(wide.axes[0]).toBeCloseTo(0.7, 12);
    expect(wide.axes[1]).toBe(0.2);
    const round = dragged(one, "turn", [turn.x, turn.y], [1, 3], false); // straight above the centre
    expect(round.angle).toBeCloseTo(Math.PI / 2, 12);
    expect(dragged(one, "turn", [turn.x, turn.y], [1 + 3, 0.5 + 2.9], true).angle).toBeCloseTo(Math.PI / 4, 12);
    expect(moved(one, 0.3, -0.1, true).mean).toEqual([1.25, 0.5]);
    expect(moved(one, 99, 0, false).mean[0]).toBe(2.5); // the edge of the sheet
    expect(dragged(one, "second", [0, 0], [0, 99], false).axes[1]).toBe(2);
    const far: Ellipse = { ...one, mean: [9, 0], axes: [5, 1] }; // Python's, beyond the sheet
    expect(moved(far, -0.1, 0.1, false).mean).toEqual([8.9, 0.1]);
    expect(dragged(far, "first", [14, 0], [14, 0], false).axes).toEqual([5, 1]);
    expect(turned({ ...one, angle: 0.1 }, -0.2).angle).toBeCloseTo(Math.PI - 0.1, 12);
  });

  it("are added where there is room", () => {
    const [x, y] = emptySpot([one, two]);
    expect(Math.min(Math.hypot(x - 1, y - 0.5), Math.hypot(x + 1, y))).toBeGreaterThan(1.5);
    expect(emptySpot([])).toEqual([0, 0]);
    let many: Ellipse[] = [];
    for (let i = 0; i < 32; i++) many = added(many, [0, 0]);
    expect(() => added(many, [0, 0])).toThrow("A drawn mixture has at most 32 components.");
  });
});

it("random numbers have the laws they claim", () => {
  const normal = normals(uniforms(7));
  const n = 100_000;
  let [sum, squares] = [0, 0];
  for (let i = 0; i < n; i++) {
    const z = normal();
    sum += z;
    squares += z * z;
  }
  // five standard errors: 1 / sqrt(n) of the mean, sqrt(2 / n) of the variance
  expect(Math.abs(sum / n)).toBeLessThan(5 / Math.sqrt(n));
  expect(Math.abs(squares / n - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  expect(uniforms(1)()).not.toBe(uniforms(2)());
});
