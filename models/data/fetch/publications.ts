/** A file as its publisher offers it. */
export interface PublishedFile {
  readonly name: string;
  /** Addresses of the same bytes, the publisher's own first. */
  readonly urls: readonly string[];
  readonly bytes: number;
  /** As published with the file. */
  readonly md5: string;
  /** Of the same content compressed anew by a distribution: as good when files are verified, never fetched. */
  readonly repacked?: string;
  /** Absent: kept as it is. */
  readonly archive?: 'tar' | 'zip';
  /** Bounds on what an archive unpacks to, above the real figures; what exceeds them is not what was published. */
  readonly limits?: { readonly bytes: number; readonly files: number };
}

/** How a data set comes here, and under which terms. */
export interface Publication {
  readonly name: string;
  readonly title: string;
  readonly homepage: string;
  readonly licence: string;
  /** Bytes once it is here, for `list`. */
  readonly size: number;
  /** Empty where nothing can be fetched: `instructions` say what to do. */
  readonly files: readonly PublishedFile[];
  readonly instructions?: string;
}

const MB = 1_000_000;

function idxFiles(
  bases: readonly string[],
  sums: readonly (readonly [name: string, bytes: number, md5: string, repacked?: string])[],
): PublishedFile[] {
  return sums.map(([name, bytes, md5, repacked]) => ({
    name,
    bytes,
    md5,
    urls: bases.map((base) => `${base}/${name}`),
    ...(repacked === undefined ? {} : { repacked }),
  }));
}

/** The publishers' page lists the archives' md5 sums. */
function cifar(name: string, bytes: number, md5: string): PublishedFile {
  const urls = [`https://www.cs.toronto.edu/~kriz/${name}`];
  return { name, bytes, md5, urls, archive: 'tar', limits: { bytes: 200 * MB, files: 100 } };
}

/** The publisher's host, and the one that it sends to. */
const vocUrls = (path: string): string[] =>
  ['http://host.robots.ox.ac.uk', 'https://thor.robots.ox.ac.uk'].map((host) => `${host}/pascal/VOC/${path}`);

/** Data sets by the names that the command line takes. Sums are the publishers' where they give any, else torchvision's. */
export const PUBLICATIONS: readonly Publication[] = [
  {
    name: 'digits',
    title: 'UCI optical digits: 1,797 of 8 x 8 pixels',
    homepage: 'https://doi.org/10.24432/C50P49',
    licence: 'CC BY 4.0',
    size: 0,
    files: [],
    instructions: 'digits are part of the program: nothing to fetch',
  },
  {
    name: 'mnist',
    title: 'MNIST: 70,000 digits of 28 x 28 pixels',
    homepage: 'https://yann.lecun.com/exdb/mnist/',
    licence: 'CC BY-SA 3.0',
    size: 11.6 * MB,
    // Its own address asks for a password since 2021; these two are the mirrors that PyTorch and TensorFlow use.
    files: idxFiles(
      ['https://ossci-datasets.s3.amazonaws.com/mnist', 'https://storage.googleapis.com/cvdf-datasets/mnist'],
      [
        ['train-images-idx3-ubyte.gz', 9_912_422, 'f68b3c2dcbeaaa9fbdd348bbdeb94873'],
        ['train-labels-idx1-ubyte.gz', 28_881, 'd53e105ee54ea40749a09fcbcd1e9432'],
        ['t10k-images-idx3-ubyte.gz', 1_648_877, '9fb629c4189551a2d022fa330f9573f3'],
        ['t10k-labels-idx1-ubyte.gz', 4_542, 'ec29112dd5afa0611ce80d1b7f02629c'],
      ],
    ),
  },
  {
    name: 'fashion-mnist',
    title: 'Fashion-MNIST: 70,000 garments of 28 x 28 pixels',
    homepage: 'https://github.com/zalandoresearch/fashion-mnist',
    licence: 'MIT',
    size: 30.9 * MB,
    // The last sums are those of Debian's package dataset-fashion-mnist.
    files: idxFiles(
      ['http://fashion-mnist.s3-website.eu-central-1.amazonaws.com'],
      [
        [
          'train-images-idx3-ubyte.gz',
          26_421_880,
          '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
          'cf8536b0aa1a6ac5fa3f23001093305c',
        ],
        ['train-labels-idx1-ubyte.gz', 29_515, '25c81989df183df01b3e8a0aad5dffbe', '10bea18fdb374794d4bb42e356e600c9'],
        [
          't10k-images-idx3-ubyte.gz',
          4_422_102,
          'bef4ecab320f06d8554ea6380940ec79',
          'f78720b4224f21cce2f2ccf2d7a94c9a',
        ],
        ['t10k-labels-idx1-ubyte.gz', 5_148, 'bb300cfdad3c16e7a12a480ee83cd310', '0d30e22e447f3c33dab9ed536400ac01'],
      ],
    ),
  },
  {
    name: 'cifar10',
    title: 'CIFAR-10: 60,000 of 32 x 32 pixels, 10 classes',
    homepage: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    licence: 'none stated; cite Krizhevsky 2009',
    size: 184.4 * MB,
    files: [cifar('cifar-10-binary.tar.gz', 170_052_171, 'c32a1d4ab5d03f1284b67883e8d87530')],
  },
  {
    name: 'cifar100',
    title: 'CIFAR-100: 60,000 of 32 x 32 pixels, 100 classes',
    homepage: 'https://www.cs.toronto.edu/~kriz/cifar.html',
    licence: 'none stated; cite Krizhevsky 2009',
    size: 184.4 * MB,
    files: [cifar('cifar-100-binary.tar.gz', 168_513_733, '03b5dce01913d631647c71ecec9e9cb8')],
  },
  {
    name: 'tiny-imagenet',
    title: 'Tiny ImageNet: 120,000 of 64 x 64 pixels, 200 classes',
    homepage: 'http://cs231n.stanford.edu/',
    licence: "ImageNet's terms: research and education, not commercial",
    size: 250 * MB,
    files: [
      {
        name: 'tiny-imagenet-200.zip',
        urls: ['http://cs231n.stanford.edu/tiny-imagenet-200.zip'],
        bytes: 248_100_043,
        md5: '90528d7ca1a48142e341f4ef8d21d0de',
        archive: 'zip',
        limits: { bytes: 600 * MB, files: 130_000 },
      },
    ],
  },
  {
    name: 'imagenet',
    title: 'ImageNet (ILSVRC 2012): 1,331,167 images, 1,000 classes',
    homepage: 'https://image-net.org/download-images',
    licence: 'its own terms: research and education, not commercial',
    size: 155_000 * MB,
    files: [],
    instructions:
      'imagenet is given to who has an account at https://image-net.org and has agreed to its terms: download ' +
      'ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, unpack the first (and the tar of each class in it, into a folder of ' +
      'its name) into DIR/imagenet/train and the second into DIR/imagenet/val, put LOC_val_solution.csv (Kaggle), or ' +
      'ILSVRC2012_validation_ground_truth.txt and map_clsloc.txt, beside them, and give --data-dir DIR',
  },
  {
    name: 'voc',
    title: 'PASCAL VOC 2012 trainval, 2007 trainval and test: detection and segmentation',
    homepage: 'http://host.robots.ox.ac.uk/pascal/VOC/',
    licence: "Flickr's terms of use",
    size: 2_900 * MB,
    files: [
      {
        name: 'VOCtrainval_11-May-2012.tar',
        urls: vocUrls('voc2012/VOCtrainval_11-May-2012.tar'),
        bytes: 1_999_639_040,
        md5: '6cd6e144f989b92b3379bac3b3de84fd',
        archive: 'tar',
        limits: { bytes: 2_500 * MB, files: 60_000 },
      },
      {
        name: 'VOCtrainval_06-Nov-2007.tar',
        urls: vocUrls('voc2007/VOCtrainval_06-Nov-2007.tar'),
        bytes: 460_032_000,
        md5: 'c52e279531787c972589f7e41ab4ae64',
        archive: 'tar',
        limits: { bytes: 600 * MB, files: 30_000 },
      },
      {
        name: 'VOCtest_06-Nov-2007.tar',
        urls: vocUrls('voc2007/VOCtest_06-Nov-2007.tar'),
        bytes: 451_020_800,
        md5: 'b6e924de25625d8de591ea690078ad9f',
        archive: 'tar',
        limits: { bytes: 600 * MB, files: 30_000 },
      },
    ],
  },
  {
    name: 'sbd',
    title: "SBD: more of VOC's pictures with class masks, for segmentation as in the paper",
    homepage: 'http://home.bharathh.info/pubs/codes/SBD/download.html',
    licence: "Flickr's terms of use; cite Hariharan et al. 2011",
    size: 1_600 * MB,
    files: [
      {
        name: 'benchmark.tgz',
        urls: [
          'https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz',
          'http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz',
        ],
        bytes: 1_419_539_633,
        md5: '82b4d87ceb2ed10f6038a1cba92111cb',
        archive: 'tar',
        limits: { bytes: 4_000 * MB, files: 100_000 },
      },
    ],
  },
  {
    name: 'genesis',
    title: 'Genesis, King James Version: 197 kB of text',
    homepage: 'https://packages.debian.org/bible-kjv-text',
    licence: 'public domain',
    size: 0,
    files: [],
    instructions: 'genesis is part of the program: nothing to fetch',
  },
  {
    name: 'kjv',
    title: 'the Bible, King James Version: 4.4 MB of text',
    homepage: 'https://packages.debian.org/bible-kjv-text',
    licence: 'public domain',
    size: 4.4 * MB,
    files: [],
    instructions:
      "kjv comes from Debian's packages: apt-get install bible-kjv bible-kjv-text, then bible -f Gen1:1-Rev22:21 > DIR/kjv/kjv.txt, and give " +
      '--data-dir DIR',
  },
];

/** Whether a set is part of the program. */
export function isEmbedded(name: string): boolean {
  return name === 'digits' || name === 'genesis';
}
