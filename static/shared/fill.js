// Replaces the content of an element. Browsers before Chrome 86 and iOS 14 have no Element.replaceChildren.

export function fill(element, ...children) {
  element.textContent = "";
  element.append(...children);
}
