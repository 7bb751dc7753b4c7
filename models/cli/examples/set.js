/** A data set of one's own: bars that lie or stand, 8 x 8 pixels of grey, a byte each. */
export const data = ({ imageSet }) => {
  const draw = (count, seed) => {
    const images = new Uint8Array(count * 64);
    const labels = Array.from({ length: count }, (_, k) => k % 2);
    labels.forEach((label, k) => {
      const at = (k * 7 + seed) % 8;
      for (let i = 0; i < 8; i++) images[64 * k + (label === 0 ? 8 * at + i : 8 * i + at)] = 255;
    });
    return { images, labels };
  };
  return imageSet({
    name: 'bars',
    shape: [8, 8, 1],
    classes: ['lying', 'standing'],
    train: draw(320, 1),
    test: draw(64, 3),
  });
};
