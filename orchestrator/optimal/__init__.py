"""The paper's title: which strategy suits this policy, this PRM and this problem, measured."""
