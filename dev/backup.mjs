// npm run backup -- FILE, npm run backup -- restore FILE: copies the database into one file, and such a file into an empty database.
import { operate } from "./operate.mjs";

await operate({ program: "backup.py" });
