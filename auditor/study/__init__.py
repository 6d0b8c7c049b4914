"""The doctor/nurse study of the Grad-CAM paper, on rendered scenes, over arms and seeds."""
