// Runs before the page is painted: its language, as in assets/chat/common/strings/catalogue.ts. A page whose texts are
// built in another language, or with another name, is hidden until its code has put in the right ones.
{
  const { language, name } = window.streamchat;
  let chosen = null;
  try {
    chosen = JSON.parse(localStorage.getItem("streamchat.language"));
  } catch {
    // Without storage the language is that of the browser.
  }
  const tags = [chosen, language, ...(navigator.languages ?? [])].map((tag) => String(tag).toLowerCase().split("-")[0]);
  const root = document.documentElement;
  root.lang = tags.find((tag) => ["en", "de"].includes(tag)) ?? "en";
  if (root.lang !== "en" || name) {
    root.dataset.pending = "";
    setTimeout(() => root.removeAttribute("data-pending"), 4000);
  }
}
