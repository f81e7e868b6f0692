// Server-sent events, over a line that may go dead without a word: a network that changed, a machine that slept.

// The server says something every 15 s.
const SILENCE = 40000;

/**
 * Hear what is sent at `path`: `takes` are functions of an event's data, by its name. `lost(isOver)` is called when
 * the line breaks; unless `isOver`, the browser connects again by itself. Returns what ends the listening.
 */
export function listening(path, takes, lost, silence = SILENCE) {
  const source = new EventSource(path);
  // All there is takes as long as a slow network needs for it; what follows is short.
  let heard = Infinity;
  for (const [name, take] of Object.entries({ beat() {}, ...takes })) {
    source.addEventListener(name, (event) => {
      heard = performance.now();
      take(JSON.parse(event.data ?? "{}"));
    });
  }
  // A browser gives up when it was refused, or when what answers is no stream.
  source.addEventListener("error", () => lost(source.readyState === EventSource.CLOSED));
  const timer = setInterval(() => performance.now() - heard > silence && lost(true), Math.min(silence, 1000));
  return () => {
    clearInterval(timer);
    source.close();
  };
}
