/** A network of one's own: lrd train ./recipe.js --data ./set.js. What a recipe is made of comes as an argument; nothing is imported. */
export const recipe = ({ tf, NetBuilder, convolution, classifier, heFanIn, imageRecipe }) =>
  imageRecipe({
    name: 'twolayers',
    title: 'two convolutions and a classifier',
    width: 'filters of the first convolution, 8',
    defaults: { data: 'digits', batchSize: 32, epochs: 5 },
    build: (set, { width = 8, ...options }) => {
      const builder = new NetBuilder('twolayers', options);
      const [, , channels] = set.shape;
      const layer = (name, inputs, outputs) =>
        convolution(builder, name, { inputs, outputs, size: 3, bias: true, initial: heFanIn });
      const conv1 = layer('conv1', channels, width);
      const conv2 = layer('conv2', width, 2 * width);
      const classify = classifier(builder, 'fc', 2 * width, set.classes.length);
      return builder.net((x, pass) => {
        const a = tf.maxPool(tf.relu(conv1(x, pass)), 2, 2, 'valid');
        return classify(pass.drop(tf.relu(conv2(a, pass))));
      });
    },
  });
