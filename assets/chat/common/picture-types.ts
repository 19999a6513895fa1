/** Media types of pictures that are shown; the server accepts the same ones (`IMAGE_TYPES` in `chat/tool_results.py`). */
export const PICTURE_TYPES: ReadonlySet<unknown> = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
