/**
 * Points out of pasted text: CSV, TSV, columns, JSON, Python's lists, numpy's printed arrays; x and y, or x, y and a class.
 *
 * A header line and comments (#) are passed over. What cannot be read is refused in one sentence that names the row.
 */
import { count } from "../core/numbers";
import { CLASSES, MOST_POINTS, type Points } from "./drawn_points";

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const MEANT = "a point is x and y, or x, y and a class";

/** Throws an Error with one sentence. */
export function parsePoints(text: string): Points {
  const given = text.trim();
  if (given === "") throw new Error(`There is nothing to read: ${MEANT}, one point a line.`);
  const rows = /[[(]/.test(given) ? bracketed(given) : lines(given);
  if (rows.length === 0) throw new Error(`There is no number in this text: ${MEANT}, one point a line.`);
  if (rows.length > MOST_POINTS)
    throw new Error(`These are ${count(rows.length)} points; a drawing has at most ${count(MOST_POINTS)}.`);
  const columns = rows[0].values.length;
  const xy = new Float32Array(2 * rows.length);
  const classes = new Uint8Array(rows.length);
  rows.forEach(({ name, values }, i) => {
    const numbers = values.map((word) => numberIn(word, name));
    if (columns < 2 || columns > 3) throw new Error(`${name} has ${plural(columns)}: ${MEANT}.`);
    if (numbers.length !== columns)
      throw new Error(`${name} has ${plural(numbers.length)}, but the first one has ${columns}.`);
    const kind = numbers[2] ?? 0;
    if (!Number.isInteger(kind) || kind < 0 || kind >= CLASSES)
      throw new Error(`${name} has the class ${values[2]}: classes are the whole numbers from 0 to ${CLASSES - 1}.`);
    xy.set(numbers.slice(0, 2), 2 * i);
    classes[i] = kind;
  });
  if (!xy.every(Number.isFinite)) throw new Error("One of these numbers is too large to be drawn.");
  return { xy, classes };
}

interface Row {
  /** How a sentence calls it. */
  name: string;
  values: string[];
}

/** Every innermost pair of brackets is a point. */
function bracketed(text: string): Row[] {
  if (text.includes("...") || text.includes("…"))
    throw new Error('Rows were left out ("..."): print the whole array, or use scene.set_points(array) in Python.');
  const groups = [...text.matchAll(/[[(]([^[\]()]*)[\])]/g)].map(([, inside]) => words(inside));
  const rows = groups.filter((values) => values.length > 0);
  if (rows.length === 1 && rows[0].length > 3)
    throw new Error(`This is one list of ${plural(rows[0].length)}: ${MEANT}, each in brackets of its own.`);
  return rows.map((values, i) => ({ name: `Row ${i + 1}`, values }));
}

function lines(text: string): Row[] {
  const rows: Row[] = [];
  text.split(/\r\n|\r|\n/).forEach((line, i) => {
    const bare = line.replace(/#.*/, "").trim();
    if (bare !== "") rows.push({ name: `Line ${i + 1}`, values: words(bare) });
  });
  const first = rows[0]?.values ?? [];
  if (first.length > 0 && first.every((word) => !NUMBER.test(word) && !/^[+-]?(nan|inf)/i.test(word))) rows.shift();
  return rows;
}

function words(line: string): string[] {
  // with semicolons between them, numbers may have a decimal comma
  const parts = line.includes(";")
    ? line.split(";").map((part) => part.trim().replace(",", "."))
    : line.split(/[\s,]+/);
  return parts.map((part) => part.replace(/^"(.*)"$/, "$1")).filter((part) => part !== "");
}

function numberIn(word: string, row: string): number {
  if (!NUMBER.test(word)) throw new Error(`${row}: ${JSON.stringify(word.slice(0, 30))} is no number.`);
  return Number(word);
}

const plural = (n: number) => (n === 1 ? "one number" : `${count(n)} numbers`);
