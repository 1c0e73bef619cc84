import { LabIcon } from "@jupyterlab/ui-components";

/** Data (a ring of dots, left) on its way to noise (scattered, right). */
const DOTS: [x: number, y: number, r: number][] = [
  [3.2, 12, 1.5],
  [4.7, 8.1, 1.5],
  [4.7, 15.9, 1.5],
  [8.4, 6.3, 1.5],
  [8.4, 17.7, 1.5],
  [12.2, 8.4, 1.4],
  [12.6, 15.4, 1.4],
  [14.6, 11.6, 1.3],
  [16.3, 5.6, 1.2],
  [17.2, 18.3, 1.2],
  [18.4, 13.6, 1.1],
  [19.6, 8.7, 1.1],
  [21.6, 4.1, 0.9],
  [21.9, 17.1, 0.9],
  [22.4, 11.6, 0.8],
];

const circles = DOTS.map(([x, y, r]) => `<circle cx="${x}" cy="${y}" r="${r}"/>`).join("");

export const icon = new LabIcon({
  name: "difflab:icon",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">${circles}</g></svg>`,
});
