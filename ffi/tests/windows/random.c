/* bcryptprimitives.dll for a Wine that lacks it: the one function that Rust's standard library takes from there, for its hash maps. */
__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *to, unsigned long bytes);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *to, unsigned long long bytes) {
    return SystemFunction036(to, (unsigned long)bytes);
}
