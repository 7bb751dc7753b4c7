import { startToy } from './toy/toy.ts';
import { startTraining } from './training/training.ts';

// Behind the first paint: the words are there before the pictures are drawn and the worker is started.
requestAnimationFrame(() => {
  setTimeout(() => {
    startToy();
    startTraining();
  });
});
