// A dialog that asks before something that cannot be undone.

import { element } from "./elements.js";

// Resolves to whether the user agrees. The focus begins on what does no harm.
export function confirmed(question, explanation, action) {
  return new Promise((resolve) => {
    const cancel = element("button", { type: "button", autofocus: true, click: () => dialog.close() }, "Cancel");
    const agree = element("button", { type: "button", class: "danger", click: () => dialog.close("agreed") }, action);
    const dialog = element(
      "dialog", { "aria-labelledby": "question", "aria-describedby": "explanation" },
      element("h2", { id: "question" }, question),
      element("p", { id: "explanation" }, explanation),
      element("div", { class: "buttons" }, cancel, agree),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "agreed");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
