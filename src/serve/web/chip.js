// Draws a chip with the outline of what is asked about.
const SVG = "http://www.w3.org/2000/svg";
const RETRIES = 3;
const RETRY_AFTER_MS = 1500;

export const chipUrl = (view) => `/api/v1/chips/${encodeURIComponent(view.chip)}`;

let fetching = 0;

/** Loads the pictures of tasks one after the other, so that each is there when its turn comes, network or not. */
export async function prefetch(tasks) {
  const mine = ++fetching;
  for (const view of tasks.flatMap(({ looks }) => looks.flatMap(({ close, context }) => [close, context]))) {
    if (mine !== fetching) return;
    const image = new Image();
    image.src = chipUrl(view);
    // One that fails now is tried again when it is shown.
    await image.decode().catch(() => {});
  }
}

/** Shows `view`; resolves to whether the picture could be shown. A later call overtakes an earlier one. */
export function makeChip(picture, outline, waiting) {
  let turn = 0;

  function load(url) {
    return new Promise((resolve) => {
      picture.onload = () => resolve(true);
      picture.onerror = () => resolve(false);
      picture.src = url;
    });
  }

  function draw(view) {
    outline.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
    const points = view.outline.map(([x, y]) => `${x},${y}`).join(" ");
    // A dark casing under a bright line shows on any ground.
    const polygons = ["casing", "line"].map((name) => {
      const polygon = document.createElementNS(SVG, "polygon");
      polygon.setAttribute("class", name);
      polygon.setAttribute("points", points);
      return polygon;
    });
    outline.replaceChildren(...polygons);
  }

  return async function show(view, text) {
    const mine = ++turn;
    outline.replaceChildren();
    picture.alt = text;
    waiting.hidden = false;
    for (let attempt = 0; attempt <= RETRIES; attempt++) {
      const url = chipUrl(view) + (attempt > 0 ? `?again=${attempt}` : "");
      const loaded = await load(url);
      if (mine !== turn) return true;
      if (loaded) {
        waiting.hidden = true;
        draw(view);
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
      if (mine !== turn) return true;
      // Without a network there is nothing wrong with the picture: wait for it.
      if (!navigator.onLine) attempt = 0;
    }
    waiting.hidden = true;
    return false;
  };
}
