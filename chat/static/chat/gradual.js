// Long tables and lists of an answer: a browser takes long to lay out a thousand rows at once, so
// they come into the page over several frames.

const ELEMENTS_AT_ONCE = 150;

const wholes = new WeakMap();

/** Blocks to be put into the page now; of a long one, what follows comes frame by frame. */
export function gradually(blocks) {
  for (const block of blocks) {
    const rows = block.matches("ul, ol, blockquote") ? block : block.querySelector("tbody");
    const rest = rows ? [...rows.childNodes] : [];
    rest.splice(0, fitting(rest));
    if (!rest.length) continue;
    wholes.set(block, block.cloneNode(true));
    for (const each of rest) each.remove();
    requestAnimationFrame(() => goOn(block, rows, rest));
  }
  return blocks;
}

/** The block as it will be once all of it has come. */
export function whole(block) {
  return wholes.get(block) ?? block;
}

function goOn(block, rows, rest) {
  rows.append(...rest.splice(0, fitting(rest)));
  if (rest.length) requestAnimationFrame(() => goOn(block, rows, rest));
  else wholes.delete(block);
}

/** How many of these nodes come at once: one at least. */
function fitting(nodes) {
  let room = ELEMENTS_AT_ONCE;
  const last = nodes.findIndex((node, at) => {
    room -= node.nodeType === Node.ELEMENT_NODE ? 1 + node.getElementsByTagName("*").length : 0;
    return at > 0 && room < 0;
  });
  return last < 0 ? nodes.length : last;
}
