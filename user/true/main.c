// The smallest program: ends at once, with success.
int main(int argc, char **argv) { return 0; }
