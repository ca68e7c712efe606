/** The service worker started, and its news told: the page is kept for use without a network, or a new version waits. */

export interface OfflineTelling {
  /** The page works without a network from now on. */
  kept(): void;
  /** A new version is there; `use` loads it, or answers in how many tabs the page is open. */
  renewed(use: () => Promise<number>): void;
}

/** Start it where the browser lets it: over HTTPS or on localhost, and not where the page is being developed. */
export async function startOffline(telling: OfflineTelling): Promise<void> {
  if (!("serviceWorker" in navigator) || !isSecureContext || import.meta.env.DEV) return;
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  const { serviceWorker } = navigator;
  const first = serviceWorker.controller === null;
  let registration: ServiceWorkerRegistration | undefined;
  try {
    registration = await serviceWorker.register(new URL("sw.js", document.baseURI), { updateViaCache: "none" });
  } catch {
    return; // the browser or its settings refuse; the page works with a network
  }
  if (registration === undefined) return; // or say nothing
  // Where the browser's storage is full nothing is kept, and `ready` never comes.
  if (first) void serviceWorker.ready.then(() => telling.kept());
  const waiting = (): void => {
    const next = registration.waiting;
    if (next === null || serviceWorker.controller === null) return;
    telling.renewed(() => {
      serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
      const { port1, port2 } = new MessageChannel();
      return new Promise((resolve) => {
        port1.onmessage = ({ data }) => resolve(Number(data));
        next.postMessage("use-now", [port2]);
      });
    });
  };
  waiting();
  registration.addEventListener("updatefound", () => {
    const next = registration.installing;
    next?.addEventListener("statechange", () => next.state === "installed" && waiting());
  });
}
