// The browser that tests/browser/ runs pages in: one that is installed, or Debian's.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { command, SetupError } from "./setup.mjs";

// tests/browser/conftest.py looks for the same.
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/** Whether there is nothing to install: a browser is there, or this person may do without (the tests then say so). */
export function hasChromium() {
  return isInstalled() || !(isRoot() || process.env.CI);
}

/** Installs Debian's Chromium where that is possible. */
export function installChromium() {
  if (!isRoot() || spawnSync("apt-get", ["--version"]).status !== 0) {
    throw new SetupError("Chromium or Chrome is needed and was not found. Install it, or set CHROMIUM to its path.");
  }
  process.env.DEBIAN_FRONTEND = "noninteractive";
  command("apt-get", ["update"]);
  command("apt-get", ["install", "--yes", "--no-install-recommends", "chromium"]);
  if (!isInstalled()) throw new SetupError("apt-get installed no Chromium. Install Chrome, or set CHROMIUM to the path of one.");
}

function isInstalled() {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const candidates = [MAC, ...NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)))];
  return Boolean(process.env.CHROMIUM) || candidates.some((file) => fs.existsSync(file));
}

function isRoot() {
  return process.getuid?.() === 0;
}
