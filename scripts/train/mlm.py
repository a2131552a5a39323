"""What the cards of all models say alike in the words of STAC MLM 1.5."""


def rgb_input():
    """`mlm:input` of a network that takes red, green, blue of 0 to 255, of any size and number."""
    shape = {
        "shape": [-1, 3, -1, -1],
        "dim_order": ["batch", "bands", "height", "width"],
        "data_type": "float32",
    }
    scaling = [{"type": "min-max", "minimum": 0, "maximum": 255}]
    bands = ["red", "green", "blue"]
    return [{"name": "image", "bands": bands, "input": shape, "value_scaling": scaling}]


def map_output(name, task, class_name, description):
    """`mlm:output` of a network of one class that answers with a map."""
    shape = {
        "shape": [-1, 1, -1, -1],
        "dim_order": ["batch", "classes", "height", "width"],
        "data_type": "float32",
    }
    classes = [{"value": 0, "name": class_name, "description": description}]
    return [
        {"name": name, "tasks": [task], "result": shape, "classification:classes": classes},
    ]
