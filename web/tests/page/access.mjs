// What a keyboard reaches, and what axe finds.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { source } = createRequire(import.meta.url)("axe-core");

/** axe finds nothing on the page as it is. */
export async function isAccessible(page) {
  if (await page.evaluate(() => !("axe" in window))) await page.evaluate(source);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
  assert.deepEqual(told, []);
}

/** Press Tab until something has the focus, which must be seen wherever it goes. */
export async function tabTo(page, id) {
  for (let presses = 0; presses < 150; presses += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const { activeElement: element } = document;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return { id: element.id, body: element === document.body, seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    });
    assert.ok(at.seen || at.body, `the focus on ${at.id} is not seen`);
    if (at.id === id) return;
  }
  assert.fail(`${id} is not reached by Tab`);
}

/** Open a folder, or files, by a button and the keyboard. */
export async function enter(page, id, path) {
  await tabTo(page, id);
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
  await chooser.setFiles(path);
}
