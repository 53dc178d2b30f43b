// Frames to text and back.

export const encode = (frame) => JSON.stringify(frame);

export const decode = (text) => JSON.parse(text);
