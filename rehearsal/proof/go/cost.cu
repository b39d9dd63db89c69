// One process of a load: LOAD START SECONDS. Prints launches a second and the median time of one in ms.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

__global__ void work(float *out, int rounds) {
    float x = threadIdx.x;
    for (int i = 0; i < rounds; i++) x = x * 1.0000001f + 0.5f;
    out[blockIdx.x * blockDim.x + threadIdx.x] = x;
}

int main(int argc, char **argv) {
    using clock = std::chrono::steady_clock;
    if (argc != 4) return 2;
    bool bursty = !strcmp(argv[1], "bursty"), saturating = !strcmp(argv[1], "saturating");
    cudaDeviceProp card;
    if (cudaGetDeviceProperties(&card, 0) != cudaSuccess) return fprintf(stderr, "no card\n"), 1;
    // Eight blocks of 256 threads fill a multiprocessor; a quarter of the multiprocessors is a small load.
    int blocks = saturating ? 8 * card.multiProcessorCount : std::max(1, card.multiProcessorCount / 4);
    int rounds = bursty ? 40000 : 60000;
    float *out;
    if (cudaMalloc(&out, sizeof(float) * blocks * 256) != cudaSuccess) return fprintf(stderr, "no memory\n"), 1;
    work<<<blocks, 256>>>(out, 1);
    if (cudaDeviceSynchronize() != cudaSuccess) return fprintf(stderr, "cannot launch\n"), 1;
    std::this_thread::sleep_until(std::chrono::system_clock::from_time_t(atol(argv[2])));
    std::vector<double> times;
    auto begin = clock::now(), end = begin + std::chrono::seconds(atoi(argv[3]));
    while (clock::now() < end) {
        auto before = clock::now();
        work<<<blocks, 256>>>(out, rounds);
        if (cudaDeviceSynchronize() != cudaSuccess) return fprintf(stderr, "a launch failed\n"), 1;
        times.push_back(std::chrono::duration<double, std::milli>(clock::now() - before).count());
        if (bursty) std::this_thread::sleep_for(std::chrono::milliseconds(8));
    }
    double seconds = std::chrono::duration<double>(clock::now() - begin).count();
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    printf("%f %f\n", times.size() / seconds, times[times.size() / 2]);
}
