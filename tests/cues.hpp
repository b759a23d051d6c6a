// What a test and its processes tell each other to be in step.
#pragma once

struct go_on {};
struct finished {};
