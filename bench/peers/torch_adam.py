"""torch.optim.Adam on one thread, without a mask: prints its version, then for each line on stdin the milliseconds of a step."""
import sys
import time

import torch

torch.set_num_threads(1)
parameter = torch.nn.Parameter(torch.rand(int(sys.argv[1])) - 0.5)
parameter.grad = torch.rand(int(sys.argv[1])) - 0.5
optimizer = torch.optim.Adam([parameter])
print("PyTorch " + torch.__version__.split("a")[0], flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    optimizer.step()
    print((time.perf_counter() - start) * 1e3, flush=True)
