// Copy buttons: hidden in the HTML, shown here, so that a page without JavaScript has no button that does nothing.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break; // only on https and localhost
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.closest("[data-copyable]").querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
