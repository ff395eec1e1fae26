// Reads one target with tuf-js as its documentation shows it, and prints what came: {"text": …}, or {"text": null} when
// the repository proves that there is no such target.
//
// node read_target.js ADDRESS ROOT FOLDER TARGET      (NODE_PATH: where tuf-js was installed)
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { Updater } = require("tuf-js");

async function main([address, root, folder, name]) {
  const metadataDir = path.join(folder, "metadata");
  const targetDir = path.join(folder, "targets");
  for (const made of [metadataDir, targetDir]) fs.mkdirSync(made, { recursive: true });
  if (!fs.existsSync(path.join(metadataDir, "root.json"))) fs.copyFileSync(root, path.join(metadataDir, "root.json"));
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl: `${address}/tuf`,
    targetDir,
    targetBaseUrl: `${address}/tuf/targets`,
  });
  await updater.refresh();
  const target = await updater.getTargetInfo(name);
  const text = target ? fs.readFileSync(await updater.downloadTarget(target), "utf8") : null;
  console.log(JSON.stringify({ text }));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
