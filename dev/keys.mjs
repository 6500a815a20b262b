// npm run keys -- create|list|revoke|rotate …: manages keys in the local state, or with --remote in the deployed resources.
import { operate } from "./operate.mjs";

await operate({ program: "provision.py", first: ["keys"], secrets: true });
