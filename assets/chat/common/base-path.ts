// The path below which the page is served: "" at the root of a host, or for example "/chat".
//
// React Router knows it and adds it to its own links. What is no link of the router's has to add it by hand.

declare global {
  interface Window {
    __reactRouterContext?: { basename?: string };
  }
}

export function basePath(): string {
  return (window.__reactRouterContext?.basename ?? "").replace(/\/$/, "");
}

/** The address of the page as the router has it: without the base path. */
export function routePath(): string {
  return location.pathname.slice(basePath().length) || "/";
}

/** Leave for the sign-in, which leads back to where the page is now. */
export function goToSignIn(): void {
  location.assign(`${basePath()}/sign-in?next=${encodeURIComponent(routePath() + location.search)}`);
}
