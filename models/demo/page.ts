import { startToy } from './toy/toy.ts';
import { startTraining } from './training/training.ts';

startToy();
startTraining();
