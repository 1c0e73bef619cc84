/** What the schedule says of this moment, in one row: log-SNR, alpha, sigma and how much of the variance is data. */
import { format } from "../core/numbers";
import { element } from "../core/panel";
import { alphaSigma, logSnr, type AlphaSigma, type Schedule } from "../core/schedule";

/** alpha^2 v / (alpha^2 v + sigma^2) for data of variance v. */
export function shareOfData({ alpha, sigma }: AlphaSigma, variance: number): number {
  const data = alpha * alpha * variance;
  return data + sigma * sigma > 0 ? data / (data + sigma * sigma) : 1;
}

export interface Reading {
  root: HTMLElement;
  show(schedule: Schedule, t: number, variance: number): void;
  /** A line about the picked point; "" for none. */
  tell(text: string): void;
}

export function readingRow(): Reading {
  const root = element("div", "difflab-reading");
  const row = element("div", "difflab-reading-row");
  const numbers = ["log-SNR", "alpha", "sigma", "data share"].map((label) => {
    const group = element("div", "");
    const name = element("span", "");
    name.textContent = label;
    const number = element("b", "difflab-exact");
    if (label === "data share") group.title = "how much of the variance of x_t is the data's";
    group.append(name, number);
    row.append(group);
    return number;
  });
  const point = element("p", "difflab-reading-point");
  root.append(row, point);
  const written = new Map<HTMLElement, string>();
  const write = (place: HTMLElement, text: string) => {
    if (written.get(place) === text) return;
    written.set(place, text);
    place.textContent = text;
  };
  return {
    root,
    show(schedule, t, variance) {
      const level = alphaSigma(schedule, t);
      const share = shareOfData(level, variance);
      write(numbers[0], format(logSnr(schedule, t)));
      write(numbers[1], format(level.alpha));
      write(numbers[2], format(level.sigma));
      write(numbers[3], `${share >= 0.001 ? (100 * share).toFixed(1) : format(100 * share, 2)} %`);
    },
    tell: (text) => write(point, text),
  };
}
